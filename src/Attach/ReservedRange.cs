namespace Xfrmd.Attach;

/// <summary>
/// The descriptor numbers at which a program's emulated sockets live, so that a filter, which sees numbers only, can tell them from other
/// files. They lie below 1024 because programs use select(2), and as high as that allows because programs take the lowest free numbers.
/// </summary>
/// <param name="Low">The first number.</param>
/// <param name="High">The number behind the last.</param>
public readonly record struct ReservedRange(int Low, int High)
{
    private const int Size = 512, SelectLimit = 1024;

    /// <summary>The range under a hard limit on open files.</summary>
    public static ReservedRange Under(ulong hardLimit)
    {
        int top = (int)Math.Min(SelectLimit, hardLimit);
        return new ReservedRange(Math.Max(top - Size, top / 2), top);
    }

    public bool Contains(int descriptor) => descriptor >= Low && descriptor < High;
}
