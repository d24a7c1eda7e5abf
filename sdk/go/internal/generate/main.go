// Command generate makes runtimev1 from the proto of the plugin protocol.
//
//	go run ./internal/generate           writes the generated code
//	go run ./internal/generate -check    changes nothing; exit code 1 if the code is not current
//
// It runs in sdk/go of the repository, with buf of the repository's node_modules or of the PATH.
// The plugins are the versions that go.mod pins.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	modulePath = "github.com/openeaap/openeaap/sdk/go"
	target     = "runtimev1"
)

// plugins by the name that buf and protoc know them by.
var plugins = map[string]string{
	"protoc-gen-go":      "google.golang.org/protobuf/cmd/protoc-gen-go",
	"protoc-gen-go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
}

func main() {
	check := flag.Bool("check", false, "change nothing; fail if the generated code is not current")
	flag.Parse()
	if err := run(".", *check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(sdk string, check bool) error {
	work, err := os.MkdirTemp("", "openeaap-generate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := generate(sdk, work); err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(work, target, "*.go"))
	if err != nil {
		return err
	}
	if len(made) == 0 {
		return errors.New("buf made no files; does the proto still have the go_package of this module?")
	}
	for _, file := range made {
		if err := place(file, filepath.Join(sdk, target, filepath.Base(file)), check); err != nil {
			return err
		}
	}
	return nil
}

func generate(sdk, work string) error {
	buf, err := findBuf(sdk)
	if err != nil {
		return err
	}
	type plugin struct {
		Local string   `json:"local"`
		Out   string   `json:"out"`
		Opt   []string `json:"opt"`
	}
	template := struct {
		Version string   `json:"version"`
		Plugins []plugin `json:"plugins"`
	}{Version: "v2"}
	for name, pkg := range plugins {
		binary := filepath.Join(work, name)
		if err := command(sdk, "go", "build", "-o", binary, pkg); err != nil {
			return err
		}
		template.Plugins = append(template.Plugins, plugin{Local: binary, Out: work, Opt: []string{"module=" + modulePath}})
	}
	text, err := json.Marshal(template)
	if err != nil {
		return err
	}
	return command(filepath.Join(sdk, "../../api/proto"), buf, "generate", "--template", string(text))
}

func findBuf(sdk string) (string, error) {
	local, err := filepath.Abs(filepath.Join(sdk, "../../node_modules/.bin/buf"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(local); err == nil {
		return local, nil
	}
	found, err := exec.LookPath("buf")
	if err != nil {
		return "", fmt.Errorf("buf is neither at %s nor on the PATH: run npm ci in the repository", local)
	}
	return found, nil
}

func place(made, at string, check bool) error {
	want, err := os.ReadFile(made)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(at, want, 0o644)
	}
	have, err := os.ReadFile(at)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%s is not what the proto gives. Run: go generate", at)
	}
	return nil
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, output)
	}
	return nil
}
