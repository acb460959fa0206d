namespace Xfrmd.Interop.Harness;

/// <summary>A run of a script of examples/.</summary>
public static class ExampleRun
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    public static string Folder => Path.Combine(Repository.Root, "examples");

    public static string Script(string name) => Path.Combine(Folder, name, "run.sh");

    /// <summary>Runs a script, below the commands before it; in <paramref name="at"/>, as not every user may be where the tests are.</summary>
    public static CommandResult Run(IEnumerable<string> before, string script, string at = "/") =>
        Command.Run([Toolbox.Find("env"), "-C", at, "XFRMD=" + Toolbox.Xfrmd, .. before, script], timeout: Limit);

    /// <summary>The program, where everybody may run it.</summary>
    public static string CopyOfXfrmd(Lab lab)
    {
        string copy = Path.Combine(lab.Folder, "xfrmd");
        Command.Run([Toolbox.Find("install"), "-m", "755", Toolbox.Xfrmd, copy]).OrFail();
        return copy;
    }

    /// <summary>Neither a network namespace nor a folder of a run of the example that is over.</summary>
    public static void AssertNothingLeft(string name)
    {
        string prefix = $"xfrmd-{name}-";
        string[] found =
        [
            .. Directory.Exists("/run/netns") ? Directory.GetFiles("/run/netns", prefix + "*") : [],
            .. Directory.GetDirectories(Path.GetTempPath(), prefix + "*"),
        ];
        Assert.DoesNotContain(found, path => !Directory.Exists("/proc/" + Path.GetFileName(path)[prefix.Length..].Split('.')[0]));
    }
}
