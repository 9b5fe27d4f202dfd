/* What a distribution's libcrypt.a calls of the GNU C library and musl does not have: the checked forms of three
 * functions (Linux Standard Base, "Interfaces for libc"), and random bytes. Only programs for musl have this file. */

typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ssize_t;

_Noreturn void abort(void);
void explicit_bzero(void *place, size_t size);
ssize_t getrandom(void *place, size_t size, unsigned flags);
int vsnprintf(char *place, size_t size, const char *format, __builtin_va_list values);

void __explicit_bzero_chk(void *place, size_t size, size_t room)
{
	if (size > room)
		abort();
	explicit_bzero(place, size);
}

int __snprintf_chk(char *place, size_t size, int flag, size_t room, const char *format, ...)
{
	__builtin_va_list values;
	int length;

	(void)flag;
	if (size > room)
		abort();
	__builtin_va_start(values, format);
	length = vsnprintf(place, size, format, values);
	__builtin_va_end(values);
	return length;
}

void arc4random_buf(void *place, size_t size)
{
	char *next = place;

	while (size > 0) {
		/* Up to 256 bytes are never cut short. */
		size_t part = size < 256 ? size : 256;

		if (getrandom(next, part, 0) != (ssize_t)part)
			abort();
		next += part;
		size -= part;
	}
}
