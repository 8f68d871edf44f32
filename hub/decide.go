package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/dot"
)

// newItemsDecide decides a conflict, newItemsUndo takes that back.
func newItemsDecide(app *cli.App) *cobra.Command {
	var choice, value, reason string
	var seen []string
	cmd := &cobra.Command{
		Use: "decide ID", Short: "Decide an item: a conflict, a duplicate, a twin, a review or a flag",
		Long: "Decides an item that hub items lists. Of a duplicate or a twin (perhaps the same movement) link says that it is the same and\n" +
			"does not count, keep that it is another and counts; of a review accept or return (its author is told --reason); of a\n" +
			"flag clear. Of a conflict --choice A takes its first side, B the second, and so on; other takes\n" +
			"--value; ask sends --reason to the devices of the sides as a question, and the item stays open. The value goes\n" +
			"to all devices. --seen are the entries that you decide about, as hub items lists them, needed of a conflict: if somebody\n" +
			"wrote the field meanwhile nothing is decided (exit code 3).",
		Example: "  hub items\n  hub items decide 7 --choice A --seen D-101/1/record/7,D-102/1/record/3 --reason \"she came by and said so\"",
		Args:    oneItem,
		RunE: func(cmd *cobra.Command, args []string) error {
			if value != "" && choice != reconcile.ChooseOther {
				return cli.Misuse("--value", "%q chooses no value of its own", "give --value with --choice other alone", choice)
			}
			ru := server.Ruling{Choice: choice, Reason: reason}
			var err error
			if ru.Seen, err = seenFlag(seen); err != nil {
				return err
			}
			if len(ru.Seen) == 0 && choice != "" && !ofNotices(choice) {
				return cli.Misuse("--seen", "it is not said which entries are decided about", "give what stands under SEEN: hub items")
			}
			if value != "" {
				if ru.Value = json.RawMessage(value); !json.Valid(ru.Value) {
					if ru.Value, err = json.Marshal(value); err != nil {
						return err
					}
				}
			}
			return ruleOn(cmd, app, args[0], ru)
		},
	}
	f := cmd.Flags()
	f.StringVar(&choice, "choice", "", "link or keep, accept or return, clear; of a conflict the `side`: A, B, ..., other or ask")
	f.StringVar(&value, "value", "", "the other `value`; a group as a JSON object")
	f.StringVar(&reason, "reason", "", "`why`, for the ledger; with ask, the question; needed")
	f.StringSliceVar(&seen, "seen", nil, "the `entries` that are decided about, as hub items lists them; of others than conflicts they may be left out")
	return cmd
}

func newItemsUndo(app *cli.App) *cobra.Command {
	var reason, decision string
	cmd := &cobra.Command{
		Use: "undo ID", Short: "Take a decision back within 24 hours: the sides are in conflict again",
		Long: "Takes a decision back. With --decision, as hub items --all lists it, nothing is taken back if another one stands by now\n" +
			"(exit code 3); without it whichever stands is.",
		Args: oneItem,
		RunE: func(cmd *cobra.Command, args []string) error {
			ru := server.Ruling{Choice: reconcile.ChooseUndo, Reason: reason}
			if decision != "" {
				var err error
				if ru.Decision, err = dot.Parse(decision); err != nil {
					return cli.Misuse("--decision", "%v", "give what stands under DECISION: hub items --all", err)
				}
			}
			return ruleOn(cmd, app, args[0], ru)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the ledger; needed")
	cmd.Flags().StringVar(&decision, "decision", "", "the `entry` of the decision that is taken back, as hub items --all lists it")
	return cmd
}

func oneItem(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Misuse("ID", "%d arguments", "name one item, as hub items shows it", len(args))
	}
	return nil
}

// ofNotices reports whether a choice is one about what a rule noticed, not about a conflict.
func ofNotices(choice string) bool {
	for _, kind := range []string{store.Duplicates, store.Twins, store.Reviews, store.Flags} {
		if slices.Contains(reconcile.Choices(kind), choice) {
			return true
		}
	}
	return false
}

// seenFlag reads the entries that whoever decides had in view.
func seenFlag(words []string) ([]dot.Dot, error) {
	out := make([]dot.Dot, 0, len(words))
	for _, w := range words {
		d, err := dot.Parse(strings.TrimSpace(w))
		if err != nil {
			return nil, cli.Misuse("--seen", "%v", "give what stands under SEEN: hub items", err)
		}
		out = append(out, d)
	}
	return out, nil
}

// ruleOn decides about an item as it was seen: what came in between makes the hub
// refuse it, so nothing is looked up anew here.
func ruleOn(cmd *cobra.Command, app *cli.App, arg string, ru server.Ruling) error {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return cli.Misuse("ID", "%q is no item's number", "name it as hub items shows it", arg)
	}
	return reads().with(cmd.Context(), app, func(o office, _ bool) error {
		it, err := o.Decide(cmd.Context(), id, ru)
		if err != nil {
			return err
		}
		if app.JSON {
			return app.PrintJSON(it)
		}
		return app.Printf("Item %d, %s of %s: %s.\n", it.ID, it.Field, it.Entity, it.State)
	})
}
