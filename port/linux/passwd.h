/*
 * midge passwd: writes password files, as mosquitto_passwd does.
 */
#ifndef MIDGE_PASSWD_H
#define MIDGE_PASSWD_H

/* Runs the command; arguments[0] is "passwd". Returns the exit status, after a line on stderr where it is not 0. */
int midge_passwd(int count, char **arguments);

#endif
