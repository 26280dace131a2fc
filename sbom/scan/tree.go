package scan

import (
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
)

func listRoot(root *os.Root, p string, entry func(name string, typ fs.FileMode) error) error {
	if p == "" {
		p = "."
	}
	d, err := root.Open(p)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		list, err := d.ReadDir(1024)
		for _, e := range list {
			if err := entry(e.Name(), e.Type()); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// mayRun reports whether a file may be a program.
func mayRun(info fs.FileInfo, p string) bool {
	if runtime.GOOS == "windows" {
		return strings.EqualFold(path.Ext(p), ".exe") || path.Ext(p) == ""
	}
	return info.Mode()&0o111 != 0
}
