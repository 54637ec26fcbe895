// dockerfile_lint reads Dockerfiles as BuildKit does and prints what its linter has against them, one finding a line.
//
//	dockerfile_lint FILE...
package main

import (
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	for _, file := range os.Args[1:] {
		if err := lint(file); err != nil {
			fmt.Printf("%s: %v\n", file, err)
		}
	}
}

func lint(file string) error {
	source, err := os.Open(file)
	if err != nil {
		return err
	}
	defer source.Close()
	parsed, err := parser.Parse(source)
	if err != nil {
		return err
	}
	for _, warning := range parsed.Warnings {
		fmt.Printf("%s: %s\n", file, warning.Short)
	}
	rules := linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, at []parser.Range) {
			fmt.Printf("%s: %v %s: %s\n", file, at, rule, message)
		},
	})
	_, _, err = instructions.Parse(parsed.AST, rules)
	return err
}
