// Package ownsuite runs the tests that a session library has of its own store against ours: on a copy of the library in
// which a file is replaced by one that keeps the sessions in a cluster.
package ownsuite

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Suite says what to run.
type Suite struct {
	// Module is the library, of the version that the module of the running test requires.
	Module string
	// Replace are files of the library, by their path in it, and what takes their place, by its path on disk.
	Replace map[string]string
	// Remove are files of the library that test what is replaced.
	Remove []string
	// Packages are run, by their path in the library; "." is its root.
	Packages []string
	// Skip is the pattern of tests that are not about the store, or are about that of the library. Empty: none.
	Skip string
	// Least is how many tests must pass, so that a run of none is no success.
	Least int
}

// Run runs the suite, and fails the test with the output of the library's tests if one of these fails.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	root := strings.TrimSpace(output(t, ".", "go", "env", "GOMOD"))
	dir := strings.TrimSpace(output(t, ".", "go", "list", "-m", "-f", "{{.Dir}}", s.Module))
	tmp := t.TempDir()
	copied := filepath.Join(tmp, "library")
	if err := copyDir(copied, dir); err != nil {
		t.Fatal(err)
	}
	for name, with := range s.Replace {
		data, err := os.ReadFile(with)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range s.Remove {
		if err := os.Remove(filepath.Join(copied, name)); err != nil {
			t.Fatal(err)
		}
	}
	// A copy of the running module's go.mod that takes the library from the copy.
	mod := filepath.Join(tmp, "go.mod")
	for from, to := range map[string]string{root: mod, strings.TrimSuffix(root, "mod") + "sum": filepath.Join(tmp, "go.sum")} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output(t, ".", "go", "mod", "edit", "-replace", s.Module+"="+copied, mod)

	args := []string{"test", "-buildvcs=false", "-modfile", mod, "-count=1", "-v"}
	if s.Skip != "" {
		args = append(args, "-skip", s.Skip)
	}
	for _, p := range s.Packages {
		args = append(args, strings.TrimSuffix(s.Module+"/"+p, "/."))
	}
	out := output(t, filepath.Dir(root), "go", args...)
	n := strings.Count(out, "--- PASS: ")
	if n < s.Least {
		t.Fatalf("only %d of the tests of %s ran:\n%s", n, s.Module, out)
	}
	t.Logf("%d tests of %s passed", n, s.Module)
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// copyDir copies files, which are read-only where the module cache has them.
func copyDir(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
}
