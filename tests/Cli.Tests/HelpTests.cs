using System.CommandLine;
using Xfrmd.Cli.Commands;

namespace Xfrmd.Cli.Tests;

/// <summary>A new user has nothing but the help.</summary>
public sealed class HelpTests
{
    public static TheoryData<string> Names => [.. CommandLine.Create().Subcommands.Select(c => c.Name)];

    [Fact]
    public void The_list_names_every_command_in_a_line()
    {
        Terminal help = Terminal.Type("--help");
        Assert.Equal((0, ""), (help.Code, help.Errors));
        Assert.All(CommandLine.Create().Subcommands, c => Assert.Contains($"  {c.Name} ", help.Output, StringComparison.Ordinal));
        Assert.All(help.Output.Split('\n'), line => Assert.InRange(line.Length, 0, 130));
        Assert.Equal(help, Terminal.Type("help"));
        Assert.Equal(help, Terminal.Type("-h"));
    }

    [Theory, MemberData(nameof(Names))]
    public void Each_command_tells_its_options_and_an_example(string name)
    {
        Terminal help = Terminal.Type(name, "--help");
        Assert.Equal((0, ""), (help.Code, help.Errors));
        Command command = CommandLine.Create().Subcommands.First(c => c.Name == name);
        Assert.All(command.Options, option => Assert.Contains(option.Name, help.Output, StringComparison.Ordinal));
        Assert.All(command.Options, option => Assert.False(string.IsNullOrEmpty(option.Description), option.Name));
        Assert.All(command.Arguments, argument => Assert.Contains(argument.Name.ToUpperInvariant(), help.Output, StringComparison.Ordinal));
        Assert.Matches("(?m)^Examples?\r?$", help.Output);
        Assert.Equal(help, Terminal.Type("help", name));
    }

    [Theory, MemberData(nameof(Names))]
    public void Each_example_is_understood(string name)
    {
        RootCommand root = CommandLine.Create();
        CliCommand command = (CliCommand)root.Subcommands.First(c => c.Name == name);
        Assert.NotEmpty(command.Examples);
        foreach (string example in command.Examples)
        {
            // Up to what is not for us: a redirection, a pipe, a remark; what a shell puts before or around it.
            string typed = example.Split([" >", " |", "   ", ")"], StringSplitOptions.None)[0];
            typed = typed[typed.IndexOf("xfrmd ", StringComparison.Ordinal)..];
            Assert.Empty(root.Parse(typed.Split(' ')[1..]).Errors);
        }
    }

    [Theory]
    [InlineData]
    [InlineData("bogus")]
    [InlineData("status", "--bogus")]
    [InlineData("explain")]
    [InlineData("explain", "10.1.0.1", "10.2.0.1", "bogus")]
    [InlineData("explain", "10.1.0.1", "10.2.0.1", "tcp", "99999")]
    [InlineData("explain", "10.1.0.1", "fd00::1")]
    [InlineData("explain", "host", "10.2.0.1")]
    [InlineData("explain", "10.1.0.1", "10.2.0.1", "--mark", "x")]
    [InlineData("capture", "--side", "left", "-w", "-")]
    [InlineData("capture", "--spi", "zero", "-w", "-")]
    [InlineData("capture", "--host", "here", "-w", "-")]
    [InlineData("capture", "--count", "-1", "-w", "-")]
    [InlineData("completion", "tcsh")]
    [InlineData("help", "bogus")]
    public void Wrong_usage_is_one_line_and_exit_code_2(params string[] typed)
    {
        Terminal answer = Terminal.Type(typed);
        Assert.Equal(2, answer.Code);
        if (typed.Length == 0)
        {
            Assert.Contains("First steps", answer.Output, StringComparison.Ordinal);
            return;
        }
        Assert.Equal("", answer.Output);
        Assert.Matches(@"\Axfrmd[ a-z]*: .*; see 'xfrmd[ a-z]* --help'\n\z", answer.Errors);
        Assert.DoesNotContain("System.", answer.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("stats")]
    [InlineData("stats", "--json")]
    [InlineData("state", "--json")]
    [InlineData("policy", "--json")]
    [InlineData("explain", "10.1.0.1", "10.2.0.1")]
    [InlineData("drops")]
    [InlineData("capture", "-w", "/dev/null")]
    [InlineData("keys", "--show-keys")]
    public void Without_a_daemon_one_line_says_what_to_do(params string[] typed)
    {
        Terminal answer = Terminal.Type([.. typed, "--socket", "/nonexistent/xfrmd.sock"]);
        Assert.Equal((1, ""), (answer.Code, answer.Output));
        Assert.Equal($"xfrmd {typed[0]}: no daemon answers at /nonexistent/xfrmd.sock: start one with 'xfrmd serve', or name its socket with --socket\n", answer.Errors);
    }

    [Fact]
    public void Run_reads_its_own_options_and_leaves_the_rest_to_the_program()
    {
        Assert.True(RunCommand.TryParse(["--socket", "/s", "--", "ip", "--help"], out RunCommand run));
        Assert.Equal(("/s", null), (run.Socket, run.Mistake));
        Assert.Equal(["ip", "--help"], run.Program);
        Assert.True(RunCommand.TryParse(["--socket=/s", "ip", "xfrm"], out run));
        Assert.Equal(["ip", "xfrm"], run.Program);
        Assert.True(RunCommand.TryParse(["--bogus", "ip"], out run));
        Assert.Contains("--bogus", run.Mistake, StringComparison.Ordinal);
        Assert.True(RunCommand.TryParse([], out run));
        Assert.Contains("no program", run.Mistake, StringComparison.Ordinal);
        Assert.False(RunCommand.TryParse(["--help"], out _));
    }
}
