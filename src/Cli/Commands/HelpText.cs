using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Xfrmd.Cli.Commands;

/// <summary>What --help prints: made from the commands themselves, with an example each.</summary>
internal sealed class HelpText : SynchronousCommandLineAction
{
    private static readonly (string Title, string[] Commands)[] Groups =
    [
        ("Set up", ["doctor", "serve", "run"]),
        ("Look inside", ["status", "state", "policy", "monitor", "stats"]),
        ("Find out", ["explain", "drops", "capture", "keys"]),
        ("Test an IKE daemon", ["fault"]),
        ("Clean up and help", ["flush", "completion", "help"]),
    ];

    public override int Invoke(ParseResult parseResult)
    {
        Print(parseResult.CommandResult.Command);
        return ExitCode.Done;
    }

    public static void Print(Command command)
    {
        if (command is RootCommand root)
        {
            PrintRoot(root);
        }
        else
        {
            PrintCommand((CliCommand)command);
        }
    }

    private static void PrintRoot(RootCommand root)
    {
        Console.WriteLine(root.Description);
        int width = root.Subcommands.Max(c => c.Name.Length);
        foreach ((string title, string[] names) in Groups)
        {
            Console.WriteLine($"\n{Paint.Strong(title)}");
            foreach (string name in names)
            {
                Console.WriteLine($"  {name.PadRight(width)}  {root.Subcommands.First(c => c.Name == name).Description}");
            }
        }
        Console.WriteLine($"""

            {Paint.Strong("Everywhere")}
              xfrmd help COMMAND, xfrmd COMMAND --help   what it does, its options, an example
              --json                                     for programs, on every command that lists
              --socket PATH, XFRMD_SOCKET                which daemon (else {Serve.ServeOptions.DefaultSocket})
              --version                                  the version
              Exit codes: 0 done, 1 failed or not so, 2 wrong usage; run: the program's own, 125 to 127 where it could not be started.
              Colour only on a terminal, and not where NO_COLOR is set.
            """);
    }

    private static void PrintCommand(CliCommand command)
    {
        Console.WriteLine($"{command.Description}\n\n{Paint.Strong("Usage")}\n  {Usage(command)}");
        PrintTable("Arguments", [.. command.Arguments.Select(a => (a.Name.ToUpperInvariant(), a.Description ?? ""))]);
        PrintTable("Options", [.. command.Options.Where(o => o is not HelpOption).Select(o => (Spelling(o), o.Description ?? "")), ("-h, --help", "This text.")]);
        if (command.Details is { } details)
        {
            Console.WriteLine($"\n{details}");
        }
        Console.WriteLine($"\n{Paint.Strong(command.Examples.Count == 1 ? "Example" : "Examples")}");
        foreach (string example in command.Examples)
        {
            Console.WriteLine($"  {example}");
        }
        if (command.ExitCodes is { } codes)
        {
            Console.WriteLine($"\n{Paint.Strong("Exit codes")}\n  {codes}");
        }
    }

    private static string Usage(CliCommand command)
    {
        string usage = $"xfrmd {command.Name}";
        int open = 0;
        if (command.Options.Count > 0)
        {
            usage += " [OPTIONS]";
        }
        foreach (Argument argument in command.Arguments)
        {
            bool optional = argument.Arity.MinimumNumberOfValues == 0 || argument.HasDefaultValue;
            string name = argument.Name.ToUpperInvariant();
            usage += optional ? $" [{name}" : $" {(command.Name == "run" ? "-- " : "")}{name}";
            open += optional ? 1 : 0;
        }
        return usage + new string(']', open);
    }

    private static string Spelling(Option option)
    {
        string spelling = string.Join(", ", option.Aliases.OrderBy(alias => alias.Length).Append(option.Name));
        return option.ValueType == typeof(bool) ? spelling : $"{spelling} {option.HelpName ?? "VALUE"}";
    }

    private static void PrintTable(string title, IReadOnlyList<(string Left, string Right)> rows)
    {
        if (rows.Count == 0)
        {
            return;
        }
        Console.WriteLine($"\n{Paint.Strong(title)}");
        int width = rows.Max(row => row.Left.Length);
        foreach ((string left, string right) in rows)
        {
            Console.WriteLine($"  {left.PadRight(width)}  {right}");
        }
    }
}
