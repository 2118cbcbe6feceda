# What makes the program a service: manual pages, systemd unit, default configuration, and the package of all of it.
set(service ${PROJECT_SOURCE_DIR}/port/linux/service)
set(man ${PROJECT_SOURCE_DIR}/port/linux/man)
set(work ${PROJECT_BINARY_DIR}/service)
set(package midge-broker) # Debian has another midge
set(contact "Midge developers <developers@midge.invalid>")
file(MAKE_DIRECTORY ${work})

file(STRINGS ${PROJECT_SOURCE_DIR}/broker/midge.h version REGEX "^#define MIDGE_VERSION ")
string(REGEX REPLACE ".*\"(.*)\"" "\\1" version ${version})

# The options in midge.conf(5) are the program's own table, so the program has to run on this machine.
find_program(MIDGE_AWK awk)
find_program(MIDGE_GZIP gzip)
if(MIDGE_AWK AND MIDGE_GZIP AND (NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR))
    add_custom_command(
        OUTPUT ${work}/midge.conf.5
        COMMAND midge --options > ${work}/options.txt
        COMMAND ${MIDGE_AWK} -f ${man}/options.awk -v options=${work}/options.txt ${man}/midge.conf.5.in > ${work}/midge.conf.5
        DEPENDS midge ${man}/options.awk ${man}/midge.conf.5.in
        VERBATIM
    )
    add_custom_command(
        OUTPUT ${work}/midge.8.gz ${work}/midge.conf.5.gz
        COMMAND ${MIDGE_GZIP} -9nc ${man}/midge.8 > ${work}/midge.8.gz
        COMMAND ${MIDGE_GZIP} -9nc ${work}/midge.conf.5 > ${work}/midge.conf.5.gz
        DEPENDS ${man}/midge.8 ${work}/midge.conf.5
        VERBATIM
    )
    add_custom_target(manual ALL DEPENDS ${work}/midge.8.gz ${work}/midge.conf.5.gz)
    install(FILES ${work}/midge.8.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
    install(FILES ${work}/midge.conf.5.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
else()
    message(STATUS "No manual pages: they take awk and gzip, and a program that runs on this machine")
endif()

install(TARGETS midge RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
set(documents ${CMAKE_INSTALL_DATADIR}/doc/${package})
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${documents})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${documents} RENAME copyright)
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${work}/changelog "${package} (${version}) unstable; urgency=medium

  * Made from the sources of Midge ${version}.

 -- ${contact}  ${now}
")
if(MIDGE_GZIP)
    execute_process(COMMAND ${MIDGE_GZIP} -9nf ${work}/changelog)
    install(FILES ${work}/changelog.gz DESTINATION ${documents})
endif()
install(CODE "set(MIDGE_SERVICE \"${service}\")
set(MIDGE_WORK \"${work}\")
set(MIDGE_SBINDIR \"${CMAKE_INSTALL_SBINDIR}\")")
install(SCRIPT ${service}/install.cmake)

# The package: cpack, in the folder of the build.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ${package})
set(CPACK_PACKAGE_VERSION ${version})
set(CPACK_PACKAGE_CONTACT ${contact})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "MQTT 3.1.1 broker whose memory is known before it starts")
set(CPACK_PACKAGE_DESCRIPTION "Midge serves MQTT 3.1.1 clients on gateways and other small
machines. It reads configurations in the syntax of mosquitto.conf, takes its
memory when it starts, and gives each limit a name. When a queue is full, a
publisher waits for a bounded time, and then a policy decides that the
operator chose.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_SET_DESTDIR ON) # the configuration lies outside of the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
    WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${service}/conffiles ${service}/postinst ${service}/prerm ${service}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
