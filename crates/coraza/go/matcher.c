// The matcher of many patterns that the gate asks (gate.go). It is written in Rust, which gives its functions here.

#include <stddef.h>
#include <stdint.h>

static uintptr_t (*compile)(const uint8_t *patterns, size_t len);
static void (*scan)(uintptr_t number, const uint8_t *texts, size_t len, uint64_t *found, uint64_t time);
static void (*release)(uintptr_t number);

void matcher_is(void *with_compile, void *with_scan, void *with_release) {
	compile = (uintptr_t(*)(const uint8_t *, size_t))with_compile;
	scan = (void (*)(uintptr_t, const uint8_t *, size_t, uint64_t *, uint64_t))with_scan;
	release = (void (*)(uintptr_t))with_release;
}

// 0 is no matcher.
uintptr_t matcher_compile(const uint8_t *patterns, size_t len) {
	return compile ? compile(patterns, len) : 0;
}

void matcher_scan(uintptr_t number, const uint8_t *texts, size_t len, uint64_t *found, uint64_t time) {
	scan(number, texts, len, found, time);
}

void matcher_free(uintptr_t number) {
	release(number);
}
