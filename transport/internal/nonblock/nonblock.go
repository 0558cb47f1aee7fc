// Package nonblock makes system calls that never block without telling Go's scheduler of them.
//
// Around an ordinary system call the scheduler gets ready to go on without the thread: it notes the state of the goroutine, may wake the
// monitor, which looks every 20 µs from then on whether the call still lasts, and gives the processor to another thread if it does. To read
// from a socket or to write to one that does not block is over after about the time that it takes to copy the bytes, so none of this is of
// use. On a virtual machine whose processors are shared it does harm: a call that is interrupted seems to block, another thread is
// woken, and the two change places.
//
// While such a call runs, the garbage collector cannot stop its thread. So what is large is left to ordinary calls.
package nonblock

// most is how many bytes are read or written without the scheduler: some 50 µs of copying.
const most = 256 << 10
