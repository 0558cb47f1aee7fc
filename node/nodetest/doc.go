// Package nodetest runs a cluster of real nodes within a test, so that a service can be tested with the faults it will meet:
//
//	func TestLogout(t *testing.T) {
//		c := nodetest.Start(t, 3)
//		a := newService(c.Node(0))
//		b := newService(c.Node(1))
//		...
//		c.Kill(0)           // as SIGKILL would
//		c.Isolate(1)        // as a cut cable would; Heal joins it again
//		c.Restart(0)
//		c.WaitSettled()
//	}
//
// The nodes listen on loopback and speak the real protocol over real sockets; what goes from one to another passes through
// the test, which can lose it. They end with the test, and leave no goroutine behind. A cluster starts in a fraction of a
// second. The share of the keys of a node that is killed is unsure for about one, for its port tells that the process has ended; that of one
// that is isolated for about three, as it is in production, unless WithConfig sets shorter leases.
package nodetest
