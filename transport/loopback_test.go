package transport

import "testing"

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"": true, "127.0.0.1:7400": true, "127.8.0.1:0": true, "[::1]:7400": true, "[::ffff:127.0.0.1]:7400": true, "localhost:7400": true,
		"Localhost:7400": true, ":7400": false, "0.0.0.0:7400": false, "[::]:7400": false, "10.0.0.5:7400": false, "localhost.example:7400": false,
		"127.0.0.1": false, "shop.internal:7400": false,
	} {
		if got := Loopback(addr); got != want {
			t.Errorf("%q: %v, want %v", addr, got, want)
		}
	}
}
