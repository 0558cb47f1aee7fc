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
// second. As in production, a node's share of the keys is unsure for less than a second after Kill, for its port then refuses
// connections, and for about three seconds after Isolate, when only its silence tells; WithConfig can set shorter leases.
package nodetest
