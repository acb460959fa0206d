using System.CommandLine;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd help</c>.</summary>
internal static class HelpCommand
{
    public static CliCommand Create()
    {
        Argument<string?> name = new("command") { Description = "A command; without one, all are listed.", Arity = ArgumentArity.ZeroOrOne };
        name.CompletionSources.Add(context => context.ParseResult.RootCommandResult.Command.Subcommands.Select(c => c.Name));
        return new CliCommand("help", "What a command does, its options, an example.", "xfrmd help explain") { name }.Does(parsed =>
        {
            Command root = parsed.RootCommandResult.Command;
            Command? command = parsed.GetValue(name) is { } asked ? root.Subcommands.FirstOrDefault(c => c.Name == asked) : root;
            HelpText.Print(command ?? throw new UsageException($"there is no command '{parsed.GetValue(name)}'"));
            return ExitCode.Done;
        });
    }
}
