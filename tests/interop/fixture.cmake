# midge_client_test(NAME LABEL PROGRAM [LOSSLESS] [ARGUMENTS ...] [CONFIG line ...])
#
# Registers a test in which fixture.py starts midge with these lines of configuration and runs PROGRAM HOST:PORT ARGUMENTS. With
# LOSSLESS it fails if the broker lost a message.
set(MIDGE_FIXTURE ${CMAKE_CURRENT_LIST_DIR}/fixture.py)

function(midge_client_test name label program)
    cmake_parse_arguments(PARSE_ARGV 3 test "LOSSLESS" "" "ARGUMENTS;CONFIG")
    set(config "")
    if(test_LOSSLESS)
        list(APPEND config --lossless)
    endif()
    foreach(line IN LISTS test_CONFIG)
        list(APPEND config --config "${line}")
    endforeach()
    add_test(NAME ${label}.${name}
             COMMAND ${MIDGE_PYTHON} ${MIDGE_FIXTURE} --broker $<TARGET_FILE:midge> ${config} ${program} ${test_ARGUMENTS})
    set_tests_properties(${label}.${name} PROPERTIES LABELS ${label} TIMEOUT 900)
endfunction()

# The limits of a small board, and room for $SYS, which a board does without.
set(MIDGE_BOARD_CONFIG
    "max_connections 16" "limit_handshakes 2" "limit_sessions 24" "limit_subscriptions 64" "limit_filter_nodes 96"
    "limit_topic_nodes 200" "limit_names 450" "limit_name_size 16" "limit_deliveries 192" "limit_qos2_identifiers 32"
    "limit_blocks 300" "limit_block_size 96" "limit_replies 4" "limit_scratch_size 512" "max_packet_size 1536")
