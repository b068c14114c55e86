//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

func cmdSlowFiles(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("only Linux has leases") }

func cmdOddFiles(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("only Linux has leases") }

func cmdSlow(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("only Linux has leases") }
