# mbedTLS, built from its sources with our configuration: of Debian's source package, 2.28, or of another folder that
# MBEDTLS_SOURCE_DIR names, 2.28 or 3.6.
get_filename_component(MIDGE_TLS_DIR ${CMAKE_CURRENT_LIST_DIR} ABSOLUTE)
get_filename_component(MIDGE_THIRD_PARTY ${MIDGE_TLS_DIR}/../../build/third-party ABSOLUTE)
set(MBEDTLS_SOURCE_DIR ${MIDGE_THIRD_PARTY}/mbedtls CACHE PATH "mbedTLS's sources, version 2.28 or 3.6")
if(NOT EXISTS ${MBEDTLS_SOURCE_DIR}/library/ssl_tls.c)
    message(FATAL_ERROR "No sources of mbedTLS in ${MBEDTLS_SOURCE_DIR}. On Debian, boards/fetch.sh mbedtls gets them "
        "(package dpkg-dev), as ./dev build does; elsewhere unpack mbedTLS 2.28 or 3.6 and give its folder: "
        "cmake --preset release -DMBEDTLS_SOURCE_DIR=FOLDER")
endif()

# A static library of what the configuration leaves; the linker takes only what is used. Its warnings are its own business.
function(midge_add_mbedtls name)
    file(GLOB sources ${MBEDTLS_SOURCE_DIR}/library/*.c)
    add_library(${name} STATIC ${sources})
    set_target_properties(${name} PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
    target_include_directories(${name} SYSTEM PUBLIC ${MBEDTLS_SOURCE_DIR}/include PRIVATE ${MBEDTLS_SOURCE_DIR}/library)
    target_include_directories(${name} PUBLIC ${MIDGE_TLS_DIR})
    target_compile_definitions(${name} PUBLIC MBEDTLS_CONFIG_FILE="tls_config.h")
    target_compile_options(${name} PRIVATE -w -ffunction-sections -fdata-sections)
endfunction()
