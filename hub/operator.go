package main

import (
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/server"
	"otor/internal/cli"
)

func newOperator(app *cli.App) *cobra.Command {
	link := func(use, short, long string, ask func(cmd *cobra.Command, o office, name string) (server.Linked, error)) *cobra.Command {
		c := reads()
		cmd := &cobra.Command{
			Use: use + " NAME", Short: short, Long: long, Args: cli.OneArg("NAME"),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.with(cmd.Context(), app, func(o office, running bool) error {
					l, err := ask(cmd, o, args[0])
					if err != nil {
						return err
					}
					return printLink(app, l, running)
				})
			},
		}
		c.addresses(cmd)
		return cmd
	}
	reset := link("reset", "Make a link for an operator who forgot the password or lost the second factor",
		"Prints a link, good once and for 24 hours. The old password goes on until the link is used; then all sessions end.",
		func(cmd *cobra.Command, o office, name string) (server.Linked, error) {
			return o.ResetOperator(cmd.Context(), name)
		})
	enable := link("enable", "Let an operator in again who was shut out", "Prints a link, good once and for 24 hours. The old password is gone.",
		func(cmd *cobra.Command, o office, name string) (server.Linked, error) {
			return o.EnableOperator(cmd.Context(), name)
		})
	return cli.Group("operator", "Who works at the pages", newOperatorAdd(app), newOperatorList(app), newOperatorDisable(app), enable, reset)
}

func newOperatorAdd(app *cli.App) *cobra.Command {
	c := &choices{make: true}
	var n server.NewOperator
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add an operator: print a one-time link for them", Args: cli.OneArg("NAME"),
		Long: "Adds an operator and prints a link, good once and for 24 hours, by which they set a password of their own.\n" +
			"Roles: viewer sees; reconciler decides, too; dispatcher sends people; administrator does all and lets others in.\n" +
			"When no hub runs, the address is that of --http and --hosts, as for hub serve.",
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name = args[0]
			if n.Role == "" {
				return cli.Misuse("--role", "it is not said what the operator is there for", "add --role viewer, reconciler, dispatcher or administrator")
			}
			if len(n.Scopes) == 0 {
				return cli.Misuse("--scope", "it is not said what the operator may see", "add --scope S, such as --scope gacha:ulaanchulu or --scope '*'; several with commas")
			}
			if err := c.check(); err != nil {
				return err
			}
			return c.with(cmd.Context(), app, func(o office, running bool) error {
				l, err := o.AddOperator(cmd.Context(), n)
				if err != nil {
					return err
				}
				return printLink(app, l, running)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Role, "role", "", "`what` the operator is there for")
	f.StringSliceVar(&n.Scopes, "scope", nil, "`scopes` that the operator sees, such as gacha:ulaanchulu, 'gacha:*' or '*'")
	f.StringVar(&n.Title, "title", "", "how others see the operator's `name`")
	c.addresses(cmd)
	return cmd
}

func printLink(app *cli.App, l server.Linked, running bool) error {
	if app.JSON {
		return app.PrintJSON(l)
	}
	if err := app.Printf("For %s, once, until %s:\n  %s\n", l.Name, app.Clock(&l.ExpiresAt), l.Link); err != nil || running {
		return err
	}
	return app.Printf("No hub runs in this folder now: the link opens once it does.\n")
}

func newOperatorList(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List operators", Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				list, err := o.Operators(cmd.Context())
				if err != nil {
					return err
				}
				if app.JSON {
					return printLines(app, list)
				}
				rows := [][]string{{"NAME", "TITLE", "ROLE", "SCOPES", "STATE", "SECOND FACTOR"}}
				for _, p := range list {
					factor := "no"
					if p.Factor {
						factor = "yes"
					}
					rows = append(rows, []string{p.Name, p.Title, p.Role, strings.Join(p.Scopes, " "), strings.ReplaceAll(p.State, "_", " "), factor})
				}
				return app.Table(rows)
			})
		},
	}
}

func newOperatorDisable(app *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "disable NAME", Short: "Shut an operator out, at once", Args: cli.OneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if err := o.DisableOperator(cmd.Context(), args[0]); err != nil {
					return err
				}
				if app.JSON {
					return app.PrintJSON(map[string]string{"disabled": args[0]})
				}
				return app.Printf("%s is shut out. Sessions and tokens have ended.\n", args[0])
			})
		},
	}
}
