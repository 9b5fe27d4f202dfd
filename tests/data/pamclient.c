/* A client of PAM: runs functions on one handle, or on one handle for each of several threads, and tells what they
 * return.
 *
 * usage: pamclient FOLDER SERVICE USER [silent | again | env | rhost=HOST | threads=N | FUNCTION]...
 *
 * A prompt is answered with the next line of standard input; each thread begins with the first one. "again" has the
 * conversation put off once. No user is "-".
 */
#include <dirent.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *service, *user;
static char **words;
static char answers[16][1024];
static int answer_count;
static int is_threaded;

struct talk {
  int next;
  int put_off;
  char told[4096];
};

static void tell(struct talk *talk, const char *name, const char *text) {
  size_t used = strlen(talk->told);
  snprintf(talk->told + used, sizeof talk->told - used, "%s %s\n", name, text);
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data) {
  struct talk *talk = data;
  if (talk->put_off) {
    talk->put_off = 0;
    return PAM_CONV_AGAIN;
  }
  *responses = calloc(count, sizeof **responses);
  for (int i = 0; i < count; i++) {
    int style = messages[i]->msg_style;
    tell(talk, style == PAM_PROMPT_ECHO_OFF ? "prompt" : style == PAM_PROMPT_ECHO_ON ? "question" : "message",
         messages[i]->msg);
    if (style == PAM_PROMPT_ECHO_OFF || style == PAM_PROMPT_ECHO_ON) {
      if (talk->next == answer_count)
        return PAM_CONV_ERR;
      (*responses)[i].resp = strdup(answers[talk->next++]);
    }
  }
  return PAM_SUCCESS;
}

static int call(pam_handle_t *handle, const char *name, int flags) {
  if (!strcmp(name, "authenticate")) return pam_authenticate(handle, flags | PAM_DISALLOW_NULL_AUTHTOK);
  if (!strcmp(name, "authenticate-null")) return pam_authenticate(handle, flags);
  if (!strcmp(name, "setcred")) return pam_setcred(handle, flags | PAM_ESTABLISH_CRED);
  if (!strcmp(name, "acct_mgmt")) return pam_acct_mgmt(handle, flags | PAM_DISALLOW_NULL_AUTHTOK);
  if (!strcmp(name, "open_session")) return pam_open_session(handle, flags);
  if (!strcmp(name, "close_session")) return pam_close_session(handle, flags);
  if (!strcmp(name, "chauthtok")) return pam_chauthtok(handle, flags);
  fprintf(stderr, "%s: no such function\n", name);
  exit(2);
}

static void tell_environment(struct talk *talk, pam_handle_t *handle) {
  char **list = pam_getenvlist(handle);
  for (char **variable = list; *variable; variable++)
    tell(talk, "env", *variable);
}

static void *session(void *data) {
  struct talk *talk = data;
  struct pam_conv conversation = {converse, talk};
  pam_handle_t *handle = NULL;
  int flags = 0, status = pam_start_confdir(service, user, &conversation, folder, &handle);
  if (status != PAM_SUCCESS) {
    tell(talk, "start", pam_strerror(handle, status));
    return talk;
  }
  for (char **word = words; *word; word++) {
    char line[64];
    if (!strcmp(*word, "silent")) { flags |= PAM_SILENT; continue; }
    if (!strcmp(*word, "again")) { talk->put_off = 1; continue; }
    if (!strcmp(*word, "env")) { tell_environment(talk, handle); continue; }
    if (!strncmp(*word, "threads=", 8)) continue;
    if (!strncmp(*word, "rhost=", 6)) { pam_set_item(handle, PAM_RHOST, *word + 6); continue; }
    status = call(handle, *word, flags);
    snprintf(line, sizeof line, "%d", status);
    tell(talk, *word, line);
  }
  pam_end(handle, status);
  return talk;
}

static int entries(const char *path) {
  DIR *folder = opendir(path);
  int count = 0;
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

/* Tells what is left when the last handle is gone. */
static void tell_remains(int descriptors) {
  char line[4096];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps))
    if (strstr(line, "pam_cvm")) { printf("left a mapping\n"); break; }
  fclose(maps);
  if (entries("/proc/self/task") != 3) printf("left a thread\n");
  if (entries("/proc/self/fd") != descriptors) printf("left a descriptor\n");
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  folder = argv[1], service = argv[2], user = strcmp(argv[3], "-") ? argv[3] : NULL, words = argv + 4;
  while (answer_count < 16 && fgets(answers[answer_count], sizeof answers[0], stdin)) {
    answers[answer_count][strcspn(answers[answer_count], "\n")] = 0;
    answer_count++;
  }
  int threads = 1;
  for (char **word = words; *word; word++)
    if (!strncmp(*word, "threads=", 8)) is_threaded = 1, threads = atoi(*word + 8);
  int descriptors = entries("/proc/self/fd");
  pthread_t *ids = calloc(threads, sizeof *ids);
  struct talk *talks = calloc(threads, sizeof *talks);
  if (!is_threaded) session(talks);
  for (int i = 0; is_threaded && i < threads; i++) pthread_create(ids + i, NULL, session, talks + i);
  for (int i = 0; is_threaded && i < threads; i++) pthread_join(ids[i], NULL);
  for (int i = 0; i < threads; i++) fputs(talks[i].told, stdout);
  tell_remains(descriptors);
  return 0;
}
