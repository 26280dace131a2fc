package licensetext

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

const mit = `The MIT License (MIT)

Copyright (c) 2014 A. Person <a@example.org>

Permission is hereby granted, free of charge, to any person obtaining a copy of
this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS
FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

const commonsClause = `
"Commons Clause" License Condition v1.0

The Software is provided to you by the Licensor under the License, as defined below, subject to the following condition.

Without limiting other conditions in the License, the grant of rights under the License will not include, and the License does not grant to you, the right to Sell the Software.

For purposes of the foregoing, "Sell" means practicing any or all of the rights granted to you under the License to provide to third parties, for a fee or other consideration (including without limitation fees for hosting or consulting/ support services related to the Software), a product or service whose value derives, entirely or substantially, from the functionality of the Software. Any license notice or attribution required by the License must also include this Commons Clause License Condition notice.
`

func TestDetect(t *testing.T) {
	apache, err := os.ReadFile(filepath.Join("..", "..", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		text    string
		ids     []string
		settled bool
	}{
		"mit":            {mit, []string{"MIT"}, true},
		"apache":         {string(apache), []string{"Apache-2.0"}, true},
		"both":           {string(apache) + mit, []string{"Apache-2.0", "MIT"}, true},
		"commons clause": {string(apache) + commonsClause, []string{"Apache-2.0"}, false},
		"empty":          {"", nil, false},
		"prose":          {"You may use this on Tuesdays.", nil, false},
		"binary":         {"\xff\xfe\x00\x01 MIT", nil, false},
	}
	//lint:ignore SA1019 the tests run where they were built
	if bsd, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "LICENSE")); err == nil {
		c := cases["empty"]
		c.text, c.ids, c.settled = string(bsd), []string{"BSD-3-Clause"}, true
		cases["go"] = c
	}
	for name, c := range cases {
		if m := Detect([]byte(c.text)); !slices.Equal(m.IDs, c.ids) || m.Settled() != c.settled {
			t.Errorf("%s: %+v, want %v, settled %v", name, m, c.ids, c.settled)
		}
	}
}

func TestCopyright(t *testing.T) {
	text := mit + "// Copyright 2009 The Go Authors.\r\nCopyright [yyyy] [name of copyright owner]\nCopyright 2009 The Go Authors.\n" +
		"copyright notice that is included in\n   © 2020 B\nCopyright \xff 2021 C\n" +
		"      (c) You must retain, in the Source form of any Derivative Works\n (c) 2022 D\n(C) Copyright E\n"
	want := []string{"Copyright (c) 2014 A. Person <a@example.org>", "Copyright 2009 The Go Authors.", "© 2020 B", "Copyright \uFFFD 2021 C", "(c) 2022 D", "(C) Copyright E"}
	if got := Copyright([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
