package purl_test

import (
	"fmt"

	"github.com/hallmark-build/hallmark/sbom/purl"
)

func ExampleParse() {
	p, err := purl.Parse("pkg:PYPI/Django_REST@3.15?b=2&a=1")
	fmt.Println(p, err)
	fmt.Println(p.Type, p.Name, p.Version)
	// Output:
	// pkg:pypi/django-rest@3.15?a=1&b=2 <nil>
	// pypi django-rest 3.15
}
