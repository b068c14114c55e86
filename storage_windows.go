package main

import "io/fs"

// This file has been compiled and vetted but never run.

// checkContents has nothing to say: there are no modes here.
func checkContents(string, uint32) error { return nil }

// checkOurs cannot tell.
func checkOurs(fs.FileInfo, uint32) error { return nil }
