namespace Xfrmd.Tests;

/// <summary>Where the working tree stands. Found from where the test runs: a build server's compiler is told other paths than the machine's.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    /// <summary>The recordings of a real kernel, beside the repository.</summary>
    public static string Oracle => Path.GetFullPath(Path.Combine(Root, "..", "shared", "oracle"));

    private static string Find()
    {
        for (string? at = AppContext.BaseDirectory; at is not null; at = Path.GetDirectoryName(at))
        {
            if (File.Exists(Path.Combine(at, "Emulator.sln")))
            {
                return at;
            }
        }
        throw new DirectoryNotFoundException($"no Emulator.sln above {AppContext.BaseDirectory}: the tests run where they were built");
    }
}
