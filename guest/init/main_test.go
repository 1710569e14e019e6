package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFindProgram(t *testing.T) {
	folder := t.TempDir()
	write := func(path string, mode os.FileMode) {
		full := filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("one/tool", 0o755)
	write("two/tool", 0o755)
	write("two/text", 0o644)
	write("two/other", 0o755)
	path := "PATH=" + folder + "/one:" + folder + "/two:two"
	for _, one := range []struct{ name, cwd, env, want string }{
		{"tool", "/", path, folder + "/one/tool"},
		{"other", "/", path, folder + "/two/other"},
		{"text", "/", path, ""}, // not executable
		{"absent", "/", path, ""},
		{"/bin/tool", "/", path, "/bin/tool"}, // taken at its word
		{"./tool", "/srv", path, "/srv/tool"},
		{"other", folder, "PATH=two", folder + "/two/other"}, // a relative part of PATH is relative to the program's folder
	} {
		got, err := findProgram(one.name, one.cwd, []string{"A=b", one.env})
		if got != one.want || (err == nil) != (one.want != "") {
			t.Errorf("%+v: %q, %v", one, got, err)
		}
	}
}

func TestReadStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "start.json")
	for _, one := range []struct{ text, wrong string }{
		{`{"argv":["/x"],"cwd":"/","uid":5,"groups":[7],"stopSignal":3}`, ""},
		{`{"argv":[]}`, "names no program"},
		{`{"argv":`, "unexpected end"},
		{`{"argv":["/x"],"uid":-1}`, "cannot unmarshal"},
	} {
		if err := os.WriteFile(file, []byte(one.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readStart(file)
		if one.wrong == "" && (err != nil || got.Uid != 5 || got.StopSignal != 3 || got.Groups[0] != 7) {
			t.Errorf("%s: %+v, %v", one.text, got, err)
		}
		if one.wrong != "" && (err == nil || !strings.Contains(err.Error(), one.wrong)) {
			t.Errorf("%s: %v", one.text, err)
		}
	}
	if _, err := readStart(file + "-absent"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestDescribe(t *testing.T) {
	for status, want := range map[syscall.WaitStatus]string{0: "ended with 0", 3 << 8: "ended with 3", 9: "was ended by signal 9"} {
		if got := describe(status); got != want {
			t.Errorf("%d: %q", status, got)
		}
	}
}
