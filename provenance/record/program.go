package record

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hallmark-build/hallmark/internal/regular"
)

// environment is a list of NAME=value. A later entry overrides an earlier one.
type environment []string

func (e environment) get(name string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		k, v, ok := strings.Cut(e[i], "=")
		if ok && (k == name || runtime.GOOS == "windows" && strings.EqualFold(k, name)) {
			return v, true
		}
	}
	return "", false
}

// lookPath finds the program that name means in dir. A name without a separator
// is looked for in the absolute directories of PATH only: an empty or a
// relative entry would let a source tree bring its own programs.
func lookPath(name, dir string, env environment) (string, error) {
	extensions := []string{""}
	if runtime.GOOS == "windows" && filepath.Ext(name) == "" {
		list, ok := env.get("PATHEXT")
		if !ok {
			list = ".com;.exe;.bat;.cmd"
		}
		extensions = strings.Split(strings.ToLower(list), ";")
	}
	executable := func(file string) (string, bool) {
		for _, ext := range extensions {
			info, err := os.Stat(file + ext)
			if err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
				return file + ext, true
			}
		}
		return "", false
	}
	if strings.ContainsRune(name, '/') || strings.ContainsRune(name, filepath.Separator) {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		if found, ok := executable(file); ok {
			return found, nil
		}
		return "", &fs.PathError{Op: "find program", Path: name, Err: fs.ErrNotExist}
	}
	list, _ := env.get("PATH")
	for _, d := range filepath.SplitList(list) {
		if !filepath.IsAbs(d) {
			continue
		}
		if found, ok := executable(filepath.Join(d, name)); ok {
			return found, nil
		}
	}
	return "", &fs.PathError{Op: "find program in PATH", Path: name, Err: fs.ErrNotExist}
}

// digestFile returns the SHA-256 of the regular file at path.
func digestFile(ctx context.Context, path string) ([]byte, error) {
	f, info, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return digestOpen(ctx, f, info)
}
