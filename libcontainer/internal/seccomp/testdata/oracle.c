/*
 * oracle calls ARCH FIRST END: the calls that libseccomp knows of an architecture, "number name".
 * oracle filter: the filter that libseccomp makes of the profile on standard input, as words:
 *   default RET | arch NAME | rule RET NAME COUNT (INDEX OP VALUE VALUETWO)...
 * with numbers in hexadecimal and OP as an index of enum scmp_compare.
 */
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *what, int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

static uint32_t arch(const char *name)
{
	uint32_t a = seccomp_arch_resolve_name(name);
	check(name, a == 0 ? -EINVAL : 0);
	return a;
}

static int calls(const char *name, int from, int end)
{
	uint32_t a = arch(name);
	for (; from < end; from++) {
		char *call = seccomp_syscall_resolve_num_arch(a, from);
		if (call)
			printf("%d %s\n", from, call);
		free(call);
	}
	return 0;
}

static void rule(scmp_filter_ctx f)
{
	struct scmp_arg_cmp args[6] = { 0 };
	char name[64];
	uint32_t ret;
	unsigned int n, i, index, op;
	int nr;

	if (scanf("%" SCNx32 " %63s %x", &ret, name, &n) != 3 || n > 6)
		check("rule", -EINVAL);
	for (i = 0; i < n; i++) {
		if (scanf("%x %x %" SCNx64 " %" SCNx64, &index, &op, &args[i].datum_a, &args[i].datum_b) != 4)
			check("argument", -EINVAL);
		args[i].arg = index;
		args[i].op = op;
	}
	nr = seccomp_syscall_resolve_name(name);
	if (nr != __NR_SCMP_ERROR) {
		int rc = seccomp_rule_add_array(f, ret, nr, n, args);
		check(name, rc == -EEXIST ? 0 : rc);
	}
}

int main(int argc, char **argv)
{
	scmp_filter_ctx f = NULL;
	char word[64];
	uint32_t ret;

	if (argc == 5 && strcmp(argv[1], "calls") == 0)
		return calls(argv[2], atoi(argv[3]), atoi(argv[4]));
	check("API level", seccomp_api_set(6));
	while (scanf("%63s", word) == 1) {
		if (strcmp(word, "default") == 0 && scanf("%" SCNx32, &ret) == 1) {
			f = seccomp_init(ret);
			check("default", f ? 0 : -EINVAL);
		} else if (strcmp(word, "arch") == 0 && scanf("%63s", word) == 1) {
			int rc = seccomp_arch_add(f, arch(word));
			check(word, rc == -EEXIST ? 0 : rc);
		} else if (strcmp(word, "rule") == 0) {
			rule(f);
		} else {
			check(word, -EINVAL);
		}
	}
	check("export", seccomp_export_bpf(f, 1));
	return 0;
}
