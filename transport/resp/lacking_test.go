package resp

import "testing"

// What clients expect of Redis and there is not is answered with Redis's own text, by which they know it, and a word why.
func TestWhatIsLackingIsNamed(t *testing.T) {
	w := dial(t, start(t, Config{}).Addr())
	for _, tc := range []struct{ command, want string }{
		{"cluster slots", "-ERR This instance has cluster support disabled"},
		{"CLUSTER SHARDS", "-ERR This instance has cluster support disabled"},
		{"cluster", "-ERR wrong number of arguments for 'cluster' command"},
		{"FCALL f 0", "-ERR unknown command 'FCALL', with args beginning with: 'f' '0' , huddle has no scripts"},
		{"subscribe news", "-ERR unknown command 'subscribe', with args beginning with: 'news' , huddle has no Pub/Sub"},
		{"blpop l 1", "-ERR unknown command 'blpop', with args beginning with: 'l' '1' "},
		{"client tracking on", "-ERR unknown subcommand 'tracking'. Try CLIENT HELP. huddle has no client-side caching"},
		{"client kill x", "-ERR unknown subcommand 'kill'. Try CLIENT HELP."},
	} {
		w.send(tc.command + "\r\n")
		if got := w.reply(); got != tc.want+"\r\n" {
			t.Errorf("%s: %q, want %q", tc.command, got, tc.want)
		}
	}
}
