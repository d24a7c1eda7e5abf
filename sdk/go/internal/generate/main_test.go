package main

import "testing"

func TestGeneratedCodeIsCurrent(t *testing.T) {
	const sdk = "../.."
	if _, err := findBuf(sdk); err != nil {
		t.Skip(err)
	}
	if err := run(sdk, true); err != nil {
		t.Fatal(err)
	}
}
