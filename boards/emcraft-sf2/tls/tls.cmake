include(${CMAKE_CURRENT_LIST_DIR}/../../ram-64k/tls/tls.cmake)
