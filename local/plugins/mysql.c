/*
 * AWSAuthenticationPlugin for MySQL, tried on 8.0 and 9.7. The structures are those of <mysql/plugin.h> and
 * <mysql/plugin_auth.h>, with the numbers of these interfaces; a server takes older ones than its own, to a limit.
 */
#include "clear-password.h"

/* The text behind AS in CREATE USER is kept as it is; RDS's is 'RDS', and says nothing. */
static int keep(char *kept, unsigned int *kept_length, const char *given, unsigned int length)
{
    if (*kept_length < length)
        return 1;
    memcpy(kept, given, length);
    *kept_length = length;
    return 0;
}

static int take(char *const given, unsigned int length)
{
    (void)given;
    (void)length;
    return 0;
}

static int have_no_salt(const char *given, unsigned int length, unsigned char *salt, unsigned char *salt_length)
{
    (void)given;
    (void)length;
    (void)salt;
    *salt_length = 0;
    return 0;
}

static struct {
    int interface_version;
    const char *client_method;
    int (*authenticate)(struct client *, struct login *);
    int (*keep)(char *, unsigned int *, const char *, unsigned int);
    int (*take)(char *const, unsigned int);
    int (*set_salt)(const char *, unsigned int, unsigned char *, unsigned char *);
    unsigned long flags;
    void *compare_password;
} authentication = {0x0201, CLIENT_METHOD, authenticate, keep, take, have_no_salt, 0, 0};

struct plugin {
    int type;
    void *authentication;
    const char *name, *author, *description;
    int licence;
    void *init, *check_uninstall, *deinit;
    unsigned int version;
    void *status_variables, *system_variables, *reserved;
    unsigned long flags;
};

int _mysql_plugin_interface_version_ = 0x010a;
int _mysql_sizeof_struct_st_plugin_ = sizeof(struct plugin);
struct plugin _mysql_plugin_declarations_[] = {
    {AUTHENTICATION, &authentication, NAME, "middy-rds-iam", DESCRIPTION, PROPRIETARY, 0, 0, 0, 0x0100, 0, 0, 0, 0},
    {0},
};
