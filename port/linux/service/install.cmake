# Part of the installation: what names the places where other things are installed, which are known only then. Takes
# CMAKE_INSTALL_PREFIX and DESTDIR as every installation does, and MIDGE_SERVICE, MIDGE_WORK, MIDGE_SBINDIR.
if(CMAKE_INSTALL_PREFIX MATCHES "^(/usr)?/?$")
    set(sysconf /etc)
else()
    set(sysconf ${CMAKE_INSTALL_PREFIX}/etc)
endif()
set(MIDGE_PROGRAM ${CMAKE_INSTALL_PREFIX}/${MIDGE_SBINDIR}/midge)
set(MIDGE_CONFIGURATION ${sysconf}/midge/midge.conf)
set(MIDGE_CONFIGURATIONS ${sysconf}/midge/conf.d)

configure_file(${MIDGE_SERVICE}/midge.service.in ${MIDGE_WORK}/midge.service @ONLY)
file(INSTALL ${MIDGE_WORK}/midge.service DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)

file(INSTALL DESTINATION ${MIDGE_CONFIGURATIONS} TYPE DIRECTORY FILES "")
if(EXISTS "$ENV{DESTDIR}${MIDGE_CONFIGURATION}")
    message(STATUS "Kept: $ENV{DESTDIR}${MIDGE_CONFIGURATION}")
else()
    configure_file(${MIDGE_SERVICE}/midge.conf.in ${MIDGE_WORK}/midge.conf @ONLY)
    file(INSTALL ${MIDGE_WORK}/midge.conf DESTINATION ${sysconf}/midge)
endif()
