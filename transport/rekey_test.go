package transport

import (
	"sync/atomic"
	"testing"
	"time"
)

// A connection whose handshake is under way when the key is changed does not outlive the key that was given up, whichever side
// changes it.
func TestRekeyDuringAHandshake(t *testing.T) {
	for _, rekeyed := range []uint64{1, 2} { // 1 dials
		var armed atomic.Bool
		end := func(id uint64) (*Transport, *recorder) {
			r := newRecorder(t)
			cfg := testConfig(id, r)
			cfg.Key = testKey(1)
			tr, err := Listen(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tr.Close() })
			if id == rekeyed {
				tr.creds.now = func() time.Time { // is asked once the handshake goes by the key of then, and before it is noted
					if armed.CompareAndSwap(true, false) {
						if err := tr.Rekey(Secrets{Key: testKey(2)}); err != nil {
							t.Error(err)
						}
					}
					return time.Now()
				}
			}
			armed.Store(id == 2) // Listen has made a certificate
			tr.Start()
			return tr, r
		}
		a, ra := end(1)
		b, rb := end(2)
		a.Connect(b.Self())
		ra.wait("an end of the attempt", func() bool { return len(ra.unreachable)+len(ra.up) > 0 })
		ra.mu.Lock()
		if armed.Load() || len(ra.up) > 0 {
			t.Errorf("%d changes its key: a session stands by the old one", rekeyed)
		}
		ra.mu.Unlock()
		rb.mu.Lock()
		if len(rb.up) > 0 {
			t.Errorf("%d changes its key: a session stands by the old one", rekeyed)
		}
		rb.mu.Unlock()
		for _, x := range []*Transport{a, b} {
			_ = x.Close()
			if n := len(x.secured.list()); n > 0 {
				t.Errorf("%d connections are still noted", n)
			}
		}
	}
}
