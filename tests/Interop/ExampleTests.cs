using Xfrmd.Interop.Harness;

namespace Xfrmd.Interop;

/// <summary>Every folder of examples/ has a run.sh that does what it says and leaves nothing.</summary>
[Collection(Alone.Name)]
public sealed class ExampleTests
{
    public static TheoryData<string> Examples =>
        [.. Directory.GetDirectories(ExampleRun.Folder).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Examples))]
    public void An_example_does_what_it_says(string name)
    {
        CommandResult run = ExampleRun.Run([], ExampleRun.Script(name)).OrFail();
        Assert.EndsWith($"{name}: every step happened, all is removed\n", run.Output, StringComparison.Ordinal);
        ExampleRun.AssertNothingLeft(name);
    }

    [Theory]
    [InlineData("site-to-site", 0.3)]
    [InlineData("site-to-site", 2.5)]
    [InlineData("unprivileged-container", 0.7)]
    public void Interrupted_an_example_leaves_nothing(string name, double seconds)
    {
        // As the terminal does at Ctrl-C, timeout signals the whole group.
        CommandResult run = ExampleRun.Run([Toolbox.Find("timeout"), "-s", "INT", seconds.ToString(System.Globalization.CultureInfo.InvariantCulture)], ExampleRun.Script(name));
        Assert.True(run.ExitCode is 124 or 130, $"ended with {run.ExitCode}:\n{run.Output}{run.Errors}");
        Assert.Contains("all is removed", run.Errors, StringComparison.Ordinal);
        ExampleRun.AssertNothingLeft(name);
    }
}
