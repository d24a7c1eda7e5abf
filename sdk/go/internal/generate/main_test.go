package main

import (
	"os"
	"testing"
)

func TestGeneratedCodeIsCurrent(t *testing.T) {
	const sdk = "../.."
	if _, err := os.Stat(sdk + "/../../api/proto"); err != nil {
		t.Skip("this module is used without the repository of the platform")
	}
	if err := run(sdk, true); err != nil {
		t.Fatal(err)
	}
}
