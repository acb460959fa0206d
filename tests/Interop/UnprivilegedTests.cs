using Xfrmd.Interop.Harness;

namespace Xfrmd.Interop;

/// <summary>
/// No root anywhere: an ordinary user's <c>unshare -rn</c> is enough for the daemon, its programs, charon among them, and traffic between
/// network namespaces that are made inside.
/// </summary>
[Collection(Alone.Name)]
public sealed class UnprivilegedTests
{
    private const string OwnRun = "mount -t tmpfs run /run && exec \"$0\"";

    private static string[] OrdinaryUser =>
        [Toolbox.Find("setpriv"), "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];

    private static string[] UserNamespace => [Toolbox.Find("unshare"), "-r", "-n", "-m"];

    [Theory]
    [InlineData("manual-keys")]
    [InlineData("site-to-site")]
    [InlineData("road-warrior")]
    public void In_a_user_namespace_of_an_ordinary_user(string example) => Run(example, [.. OrdinaryUser, .. UserNamespace]);

    [Fact]
    public void In_a_user_namespace_within_another() => Run("manual-keys", [.. OrdinaryUser, .. UserNamespace, .. UserNamespace]);

    [Fact]
    public void Without_a_network_of_its_own_it_says_what_is_missing()
    {
        using Lab lab = new();
        CommandResult run = Command.Run([.. OrdinaryUser, ExampleRun.CopyOfXfrmd(lab), "serve", "--socket", Path.Combine(lab.Folder, "xfrmd.sock")]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("CAP_NET_ADMIN", run.Errors, StringComparison.Ordinal);
    }

    private static void Run(string example, string[] within)
    {
        using Lab lab = new();
        // The tree may stand where an ordinary user may not look.
        string copy = Path.Combine(lab.Folder, "examples");
        Command.Run([Toolbox.Find("cp"), "-r", ExampleRun.Folder, copy]).OrFail();
        CommandResult run = ExampleRun.Run(
            [Toolbox.Find("env"), "XFRMD=" + ExampleRun.CopyOfXfrmd(lab), .. within, "/bin/sh", "-c", OwnRun], Path.Combine(copy, example, "run.sh"), lab.Folder).OrFail();
        Assert.EndsWith($"{example}: every step happened, all is removed\n", run.Output, StringComparison.Ordinal);
        ExampleRun.AssertNothingLeft(example);
    }
}
