using System.Globalization;

namespace Xfrmd.Cli.Serve;

/// <summary>
/// Which network namespaces still exist for anybody but us. Our own handles and sockets keep a namespace alive for the kernel, so its end
/// has to be seen from outside: no process lives in it and it is mounted nowhere (<c>ip netns</c>), in no process's view of the file system.
/// </summary>
internal static class NamespaceCensus
{
    /// <summary>Which of the given numbers have ended. A namespace held open only by a descriptor of some process counts as ended.</summary>
    public static HashSet<ulong> EndedAmong(IEnumerable<ulong> numbers)
    {
        HashSet<ulong> missing = [.. numbers];
        string[] processes = [.. Directory.EnumerateDirectories("/proc").Where(static path => char.IsAsciiDigit(path["/proc/".Length]))];
        for (int i = 0; i < processes.Length && missing.Count > 0; i++)
        {
            if (NumberOf(processes[i] + "/ns/net") is { } inode)
            {
                _ = missing.Remove(inode);
            }
        }
        // Under `ip netns exec`, and in containers, a mount is seen by those within alone.
        HashSet<string> views = [];
        for (int i = 0; i < processes.Length && missing.Count > 0; i++)
        {
            if (LinkTarget(processes[i] + "/ns/mnt") is { } view && views.Add(view))
            {
                RemoveMounted(missing, processes[i] + "/mountinfo");
            }
        }
        return missing;
    }

    /// <summary>The number of the namespace that a link in /proc leads to; null where it cannot be read.</summary>
    public static ulong? NumberOf(string link) => Parse(LinkTarget(link));

    // 1069 24 0:4 net:[4026532177] /run/netns/left rw shared:5 - nsfs nsfs rw
    private static void RemoveMounted(HashSet<ulong> missing, string path)
    {
        try
        {
            foreach (string line in File.ReadLines(path))
            {
                if (line.Contains(" - nsfs ", StringComparison.Ordinal) && Parse(line.Split(' ')[3]) is { } inode)
                {
                    _ = missing.Remove(inode);
                }
            }
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            // Gone, or a mount namespace that we may not see: then only processes count there.
        }
    }

    private static string? LinkTarget(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static ulong? Parse(string? text) =>
        text is ['n', 'e', 't', ':', '[', .. var number, ']'] && ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out ulong inode) ? inode : null;
}
