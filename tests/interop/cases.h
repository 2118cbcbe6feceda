/* The cases that both of Paho's libraries run. */
#ifndef CASES_H
#define CASES_H

struct test_case {
    const char *name;
    void (*run)(void);
};

/* Each list ends with an entry without a name. */
extern const struct test_case delivery_cases[];
extern const struct test_case filter_cases[];
extern const struct test_case session_cases[];
extern const struct test_case volume_cases[];

#endif
