package ring
import ("testing";"github.com/cespare/xxhash/v2")
func TestTmp(t *testing.T) { p := DefaultParams(); for _, n := range []int{10,20,32,50,64} { newOracle(p, xxhash.Sum64).check(t, mustBuild(t, names(n, uint64(n)), 2, p), 2); t.Log("ok", n) }
 newOracle(p, xxhash.Sum64).check(t, mustBuild(t, names(6, 1), 3, p), 3); t.Log("ok 6, 3 copies") }
