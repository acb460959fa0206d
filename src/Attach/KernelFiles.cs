using System.Globalization;
using Xfrmd.Kernel;

namespace Xfrmd.Attach;

/// <summary>/proc/net/xfrm_stat and /proc/sys/net/core/xfrm_*: their names, their text, and what may be written (<c>xfrm_sysctl.c</c>).</summary>
internal static class KernelFiles
{
    private const string SysctlDirectory = "/proc/sys/net/core/";

    /// <summary>Whether the last part of a path could be one of them, before any effort is spent on it.</summary>
    public static bool MayBe(string path) => Named(path.AsSpan(path.LastIndexOf('/') + 1)) != KernelFile.None;

    /// <summary>The file that an absolute path names; "self", "thread-self" and numbers are any process.</summary>
    public static KernelFile Find(string path)
    {
        string whole = Path.GetFullPath(path);
        KernelFile file = Named(whole.AsSpan(whole.LastIndexOf('/') + 1));
        if (file != KernelFile.Statistics)
        {
            return whole.StartsWith(SysctlDirectory, StringComparison.Ordinal) && whole.LastIndexOf('/') == SysctlDirectory.Length - 1
                ? file
                : KernelFile.None;
        }
        return whole.Split('/') switch
        {
            ["", "proc", "net", _] => file,
            ["", "proc", var process, "net", _] when IsProcess(process) => file,
            ["", "proc", var process, "task", var thread, "net", _] when IsProcess(process) && IsProcess(thread) => file,
            _ => KernelFile.None,
        };
    }

    public static string Text(KernelFile file, XfrmNamespace space) => file switch
    {
        KernelFile.Statistics => space.Statistics.ToProcText(),
        KernelFile.AcqExpires => Line(space.Sysctls.AcqExpires),
        KernelFile.AeventEtime => Line(space.Sysctls.AeventEtime),
        KernelFile.AeventRseqth => Line(space.Sysctls.AeventRseqth),
        _ => Line(space.Sysctls.LarvalDrop),
    };

    /// <summary>As <c>proc_douintvec</c> (proc_dointvec for larval_drop): the first number counts; what is none is EINVAL.</summary>
    public static Errno Write(KernelFile file, XfrmNamespace space, ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> number = text.TrimStart(" \t\n"u8);
        int end = number.IndexOfAny(" \t\n\0"u8);
        number = end < 0 ? number : number[..end];
        if (number.IsEmpty && file != KernelFile.Statistics)
        {
            return Errno.None;
        }
        if (file == KernelFile.LarvalDrop)
        {
            if (!int.TryParse(number, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int drop))
            {
                return Errno.EINVAL;
            }
            space.Sysctls.LarvalDrop = drop;
            return Errno.None;
        }
        if (file == KernelFile.Statistics || !uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out uint value))
        {
            return Errno.EINVAL;
        }
        switch (file)
        {
            case KernelFile.AcqExpires:
                space.Sysctls.AcqExpires = value;
                break;
            case KernelFile.AeventEtime:
                space.Sysctls.AeventEtime = value;
                break;
            default:
                space.Sysctls.AeventRseqth = value;
                break;
        }
        return Errno.None;
    }

    private static KernelFile Named(ReadOnlySpan<char> name) => name switch
    {
        "xfrm_stat" => KernelFile.Statistics,
        "xfrm_acq_expires" => KernelFile.AcqExpires,
        "xfrm_aevent_etime" => KernelFile.AeventEtime,
        "xfrm_aevent_rseqth" => KernelFile.AeventRseqth,
        "xfrm_larval_drop" => KernelFile.LarvalDrop,
        _ => KernelFile.None,
    };

    private static bool IsProcess(string part) => part is "self" or "thread-self" || (part.Length > 0 && part.All(char.IsAsciiDigit));

    private static string Line<T>(T value) => string.Create(CultureInfo.InvariantCulture, $"{value}\n");
}
