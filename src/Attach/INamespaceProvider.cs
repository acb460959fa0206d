using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;

namespace Xfrmd.Attach;

/// <summary>The state of each network namespace that clients come from. Called from any thread.</summary>
public interface INamespaceProvider
{
    /// <summary>The state of this namespace, made where there is none yet.</summary>
    /// <param name="inode">The number in <c>net:[N]</c>. A namespace that ends may leave its number to a later one.</param>
    /// <param name="handle">The namespace itself (setns(2) takes it). The caller's: duplicate it to keep it.</param>
    XfrmNamespace Open(ulong inode, SafeFileHandle handle);

    /// <summary>The same for a namespace whose state is known. False: it had ended, and its number may be another's.</summary>
    bool TryReopen(XfrmNamespace space);

    /// <summary>
    /// No program has a socket of ours in the namespace any more. It may be called again for the same namespace, and sockets may come
    /// again: a hint to look whether the namespace itself has ended.
    /// </summary>
    void LastSocketClosed(XfrmNamespace space);
}
