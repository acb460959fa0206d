using System.Globalization;

namespace Xfrmd.Interop.Harness;

/// <summary>Finds and removes what a test run that was killed could not remove itself.</summary>
internal static class Leftovers
{
    public const string Prefix = "xfi";
    private const string NamespaceFolder = "/run/netns";
    private static readonly Lock Gate = new();

    /// <summary>Removes the namespaces and folders of test processes that are no more.</summary>
    public static void Remove()
    {
        lock (Gate)
        {
            if (Directory.Exists(NamespaceFolder))
            {
                foreach (string path in Directory.GetFiles(NamespaceFolder, Prefix + "*").Where(IsOrphan))
                {
                    RemoveNamespace(Path.GetFileName(path));
                }
            }
            foreach (string path in Directory.GetDirectories(Path.GetTempPath(), Prefix + "*-lab").Where(IsOrphan))
            {
                Directory.Delete(path, recursive: true);
            }
        }
    }

    /// <summary>Kills what runs in a namespace of ours and removes it.</summary>
    public static void RemoveNamespace(string name)
    {
        string pids = Command.Run([Toolbox.Find("ip"), "netns", "pids", name]).Output;
        foreach (string pid in pids.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            Command.Run([Toolbox.Find("kill"), "-KILL", pid]);
        }
        Command.Run([Toolbox.Find("ip"), "netns", "del", name]);
    }

    private static bool IsOrphan(string path)
    {
        string owner = Path.GetFileName(path)[Prefix.Length..].Split('.')[0];
        return int.TryParse(owner, NumberStyles.None, CultureInfo.InvariantCulture, out int pid) && !Directory.Exists($"/proc/{pid}");
    }
}
