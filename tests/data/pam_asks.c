/* A module for PAM that asks and does as its arguments say:
 *
 * visible      prompts with what is typed shown
 * account      prompts in account management
 * user=NAME    makes another user of whoever logs in
 * sleep=N      takes so many milliseconds
 * status=N     returns this
 */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask(pam_handle_t *handle, int style) {
  char *answer = NULL;
  int status = pam_prompt(handle, style, &answer, "Say: ");
  if (status == PAM_SUCCESS && (!answer || strcmp(answer, "secret"))) status = PAM_AUTH_ERR;
  free(answer);
  return status;
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv) {
  int style = PAM_PROMPT_ECHO_OFF, status = PAM_SUCCESS;
  (void)flags;
  pam_prompt(handle, PAM_TEXT_INFO, NULL, "welcome");
  for (int i = 0; i < argc; i++) {
    if (!strcmp(argv[i], "visible")) style = PAM_PROMPT_ECHO_ON;
    if (!strncmp(argv[i], "user=", 5)) pam_set_item(handle, PAM_USER, argv[i] + 5);
    if (!strncmp(argv[i], "sleep=", 6)) usleep(1000 * atoi(argv[i] + 6));
    if (!strncmp(argv[i], "status=", 7)) status = atoi(argv[i] + 7);
  }
  return status == PAM_SUCCESS ? ask(handle, style) : status;
}

int pam_sm_setcred(pam_handle_t *handle, int flags, int argc, const char **argv) {
  (void)handle, (void)flags, (void)argc, (void)argv;
  return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *handle, int flags, int argc, const char **argv) {
  (void)flags;
  for (int i = 0; i < argc; i++)
    if (!strcmp(argv[i], "account")) return ask(handle, PAM_PROMPT_ECHO_OFF);
  return PAM_SUCCESS;
}
