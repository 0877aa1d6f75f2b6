/*
 * A module of PAM for PostgreSQL, which RDS asks for tokens by: the method `pam` of pg_hba.conf gives it the user's
 * name and the token. pam_exec would cut off a token with a session token in it: it hands on 512 bytes.
 *
 * https://www.postgresql.org/docs/current/auth-pam.html
 * https://man7.org/linux/man-pages/man3/pam_sm_authenticate.3.html
 */
#include "verifier.h"

/* As <security/_pam_types.h> has them, which few machines have. */
enum { PAM_SUCCESS = 0, PAM_AUTH_ERR = 7 };
enum { PAM_AUTHTOK = 6 };

int pam_get_user(void *pam, const char **user, const char *prompt);
int pam_get_authtok(void *pam, int item, const char **token, const char *prompt);

int pam_sm_authenticate(void *pam, int flags, int count, const char **arguments)
{
    const char *user, *token;

    (void)flags;
    (void)count;
    (void)arguments;
    if (pam_get_user(pam, &user, 0) != PAM_SUCCESS || pam_get_authtok(pam, PAM_AUTHTOK, &token, 0) != PAM_SUCCESS)
        return PAM_AUTH_ERR;
    return is_good(user, token, strlen(token)) ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int pam_sm_setcred(void *pam, int flags, int count, const char **arguments)
{
    (void)pam;
    (void)flags;
    (void)count;
    (void)arguments;
    return PAM_SUCCESS;
}

/* PostgreSQL asks for this, too: nothing but the token keeps anybody out. */
int pam_sm_acct_mgmt(void *pam, int flags, int count, const char **arguments)
{
    return pam_sm_setcred(pam, flags, count, arguments);
}
