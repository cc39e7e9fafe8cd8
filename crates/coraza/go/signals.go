package main

/*
#include <signal.h>
#include <stdint.h>

// The handlers of this process that run on the stack of the thread they interrupt, from now on on its signal stack where it has
// one. How many there were.
static uint32_t on_signal_stack(void) {
	uint32_t changed = 0;
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;
		if (sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN ||
				action.sa_flags & SA_ONSTACK) {
			continue;
		}
		action.sa_flags |= SA_ONSTACK;
		changed += sigaction(number, &action, NULL) == 0;
	}
	return changed;
}
*/
import "C"

// signalsOnTheirStack does for handlers that were installed after the Go runtime what it did for those before it: Go code runs on
// small stacks, which are no place for a handler that knows nothing of them.
func signalsOnTheirStack() uint32 {
	return uint32(C.on_signal_stack())
}
