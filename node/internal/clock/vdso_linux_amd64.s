#include "textflag.h"
#include "funcdata.h"

// The function is C and runs on the stack of the goroutine, as that of syscall.Gettimeofday does. This frame is what it may use of it beside
// what every Go function may; that is many times what it needs. R12, SP and BP it leaves as they are. The scheduler does not stop a
// goroutine here, and a signal is handled on a stack of its own.

// func call(function uintptr) (ns int64)
TEXT ·call(SB), 0, $1064-16
	NO_LOCAL_POINTERS
	MOVQ	function+0(FP), AX
	MOVL	$7, DI           // CLOCK_BOOTTIME
	LEAQ	1040(SP), SI     // where the timespec goes: seconds, nanoseconds
	MOVQ	SP, R12
	LEAQ	1024(SP), SP
	ANDQ	$~15, SP         // as C wants it
	CALL	AX
	MOVQ	R12, SP
	TESTL	AX, AX
	JNE	failed
	MOVQ	1040(SP), AX
	IMULQ	$1000000000, AX
	ADDQ	1048(SP), AX
	MOVQ	AX, ns+8(FP)
	RET

failed:
	MOVQ	$0, ns+8(FP)
	RET
