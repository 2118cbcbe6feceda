# For libFuzzer: instrumented libraries, and the first inputs.

# What is fuzzed is instrumented; what surrounds it is not, so that the fuzzer looks for paths of the house alone.
add_library(midge_fuzzed INTERFACE)
target_compile_options(midge_fuzzed INTERFACE -fsanitize=fuzzer-no-link)
target_link_libraries(midge_fuzzed INTERFACE midge_warnings)
# The core without its comparisons, which would take half of the time: its first inputs know the words that matter.
add_library(midge_fuzzed_core INTERFACE)
target_compile_options(midge_fuzzed_core INTERFACE -fno-sanitize-coverage=trace-cmp)
target_link_libraries(midge_fuzzed_core INTERFACE midge_fuzzed)
midge_add_core(midge_fuzz_core 32)
midge_add_core(midge_fuzz_core16 16)
target_link_libraries(midge_fuzz_core PRIVATE midge_fuzzed_core)
target_link_libraries(midge_fuzz_core16 PRIVATE midge_fuzzed_core)

# The first inputs.
file(GLOB scenarios CONFIGURE_DEPENDS ${conformance}/scenarios/*.scn)
set(seeds ${CMAKE_CURRENT_BINARY_DIR}/seeds)
file(MAKE_DIRECTORY ${seeds}/broker ${seeds}/packet ${seeds}/topic)
add_executable(fuzz_seeds seeds.c ${world})
target_include_directories(fuzz_seeds PRIVATE ${conformance})
target_compile_definitions(fuzz_seeds PRIVATE _GNU_SOURCE)
target_link_libraries(fuzz_seeds PRIVATE midge_core midge_warnings)
foreach(function world_start world_open world_send world_lose world_turn world_pass world_oversleep judge_counters
                 midge_authenticated midge_set_policy midge_publish)
    target_link_options(fuzz_seeds PRIVATE -Wl,--wrap=${function})
endforeach()
add_custom_command(
    OUTPUT ${seeds}/made
    COMMAND fuzz_seeds ${seeds} ${scenarios}
    COMMAND ${CMAKE_COMMAND} -E touch ${seeds}/made
    DEPENDS fuzz_seeds ${scenarios}
)
add_custom_target(fuzz_seeds_made ALL DEPENDS ${seeds}/made)
