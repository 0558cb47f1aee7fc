//go:build linux

package deploy

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// dockerfile returns its instructions, in order: the word and the rest.
func dockerfile(t *testing.T) (out [][2]string) {
	t.Helper()
	data, err := os.ReadFile("docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		out = append(out, [2]string{word, rest})
	}
	return out
}

// instruction returns the last instruction of a word.
func instruction(t *testing.T, word string) string {
	t.Helper()
	found := ""
	for _, i := range dockerfile(t) {
		if i[0] == word {
			found = i[1]
		}
	}
	if found == "" {
		t.Fatalf("the Dockerfile has no %s", word)
	}
	return found
}

// binary is the program, built once, and removed by TestMain.
var binary struct {
	once sync.Once
	path string
	err  error
	out  []byte
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

// build builds the program with the very command of the Dockerfile.
func build(t *testing.T) string {
	t.Helper()
	command := instruction(t, "RUN")
	binary.once.Do(func() {
		dir, err := os.MkdirTemp("", "huddle-deploy")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "huddle")
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "/out/huddle", binary.path))
		cmd.Dir = "../.."
		binary.out, binary.err = cmd.CombinedOutput()
	})
	if binary.err != nil {
		t.Fatalf("%s: %v\n%s", command, binary.err, binary.out)
	}
	return binary.path
}

func TestDockerfile(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if version == nil || dockerfile(t)[0] != [2]string{"FROM", "golang:" + string(version[1]) + " AS build"} {
		t.Errorf("built in %v, and go.mod wants %s", dockerfile(t)[0], version)
	}
	for word, want := range map[string]string{
		"FROM": "scratch", "USER": "65532:65532", "ENTRYPOINT": `["/huddle"]`, "CMD": `["serve"]`, "STOPSIGNAL": "SIGTERM",
		"EXPOSE": "7400/tcp 7379/tcp 7480/tcp",
	} {
		if got := instruction(t, word); got != want {
			t.Errorf("%s %s, want %s", word, got, want)
		}
	}
	file, err := elf.Open(build(t))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) != 0 {
		t.Errorf("the binary needs %v (error %v), and there is nothing in the image", libraries, err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static: it wants a dynamic linker")
		}
	}
	out, err := exec.Command(build(t), "version").CombinedOutput()
	if err != nil {
		t.Errorf("huddle version: %v\n%s", err, out)
	}
}
