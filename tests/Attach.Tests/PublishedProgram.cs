using System.Diagnostics;

namespace Xfrmd.Attach.Tests;

/// <summary>The shipped executable, <c>out/xfrmd</c>: published here where it is missing or older than the sources. XFRMD_BINARY names another.</summary>
public static class PublishedProgram
{
    private static readonly Lazy<string> Found = new(Find);

    public static string Path => Found.Value;

    private static string Find()
    {
        if (Environment.GetEnvironmentVariable("XFRMD_BINARY") is { Length: > 0 } named)
        {
            return named;
        }
        string binary = System.IO.Path.Combine(Repository.Root, "out", "xfrmd");
        DateTime newest = Directory.EnumerateFiles(System.IO.Path.Combine(Repository.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains("/obj/", StringComparison.Ordinal)).Max(File.GetLastWriteTimeUtc);
        if (!File.Exists(binary) || File.GetLastWriteTimeUtc(binary) < newest)
        {
            Publish();
            File.SetLastWriteTimeUtc(binary, newest);   // an incremental publish may leave it untouched
        }
        return binary;
    }

    private static void Publish()
    {
        ProcessStartInfo start = new("dotnet", ["publish", "src/Cli", "-c", "Release", "-r", "linux-x64", "-o", "out", "-nodeReuse:false"])
        {
            WorkingDirectory = Repository.Root,
            RedirectStandardOutput = true,
        };
        foreach (string inherited in start.Environment.Keys.Where(k => k.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
        {
            start.Environment.Remove(inherited);
        }
        using Process publish = Process.Start(start)!;
        string output = publish.StandardOutput.ReadToEnd();
        publish.WaitForExit();
        Assert.True(publish.ExitCode == 0, "dotnet publish failed:\n" + output);
    }
}
