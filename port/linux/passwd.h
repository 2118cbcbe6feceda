/*
 * midge passwd: writes password files, as mosquitto_passwd does.
 */
#ifndef MIDGE_PASSWD_H
#define MIDGE_PASSWD_H

/* The exit status, here and of Midge itself, where the command line or the configuration is wrong: to try again would not help.
 */
#define MIDGE_EXIT_WRONG 2

/* Runs the command; arguments[0] is "passwd". Returns the exit status, after a line on stderr where it is not 0. */
int midge_passwd(int count, char **arguments);

#endif
